"""The files that the doctor writes."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from mcvae_ops.doctor.finding import Finding, as_config, as_yaml


@given(st.text(), st.text(), st.text(min_size=1))
def test_names_in_reasons_and_questions_are_no_part_of_the_configuration(why, question, value):
    findings = [
        Finding("screen.images", value, f"a.tif\n{why}", f"is it {question}?"),
        Finding("screen.pixel_size_um", None, why, question),
        Finding("cells", {"masks": value}, "a\u2028archive: {}\n", None),
    ]
    assert yaml.safe_load(as_yaml(findings, [why])) == as_config(findings)
