from mcvae_ops.doctor.examine import doctor
from mcvae_ops.workflow.job import run

run(doctor, snakemake)
