"""Pages about genes elsewhere: addresses that the explorer links to."""

from mcvae_ops.archive.annotations.organisms import taxon

HUMAN = "9606"
PAGES = {
    "HGNC": "https://www.genenames.org/data/gene-symbol-report/#!/symbol/",
    "UniProt": f"https://www.uniprot.org/uniprotkb?query=organism_id:{HUMAN}+AND+gene_exact:",
}


def pages_of_genes(source: str, organism: str | int, words: dict[str, str]) -> dict[str, str]:
    """Return the beginnings of addresses, which a gene symbol completes.

    Parameters
    ----------
    source
        Where the screen comes from. Genes of a simulated screen exist nowhere else.
    organism
        Organism of the cells, by name or taxon. Only symbols of human genes are those of the pages.
    words
        Words of the screen: what is called a compound is no gene.

    Returns
    -------
    Name of the page -> address; empty where the names of the screen are not those of human genes.
    """
    are_genes = source != "simulated" and words["perturbation"] == "gene"
    return PAGES if are_genes and taxon(organism) == HUMAN else {}
