"""Names of organisms: human, Homo sapiens and 9606 are one."""

# NCBI taxonomy: number, common name, scientific name.
_TAXA = {
    "9606": ("human", "homo sapiens", "h. sapiens"),
    "10090": ("mouse", "mus musculus", "m. musculus"),
    "10116": ("rat", "rattus norvegicus", "r. norvegicus"),
    "9913": ("bovine", "cow", "cattle", "bos taurus"),
    "9823": ("pig", "sus scrofa"),
    "9615": ("dog", "canis lupus familiaris", "canis familiaris"),
    "9986": ("rabbit", "oryctolagus cuniculus"),
    "9031": ("chicken", "gallus gallus"),
    "7955": ("zebrafish", "danio rerio"),
    "7227": ("fruit fly", "fly", "drosophila melanogaster", "d. melanogaster"),
    "6239": ("worm", "caenorhabditis elegans", "c. elegans"),
    "4932": ("yeast", "baker's yeast", "saccharomyces cerevisiae", "s. cerevisiae", "559292"),
}
_NUMBERS = {name: number for number, names in _TAXA.items() for name in (number, *names)}


def taxon(organism: str | int) -> str:
    """Return the taxon number of an organism by any of its names; other names in lower case."""
    name = " ".join(str(organism).lower().replace("_", " ").replace(".", ". ").split())
    name = name.removeprefix("taxid:").removeprefix("ncbitaxon:")
    # UniProt's form: Homo sapiens (Human).
    return _NUMBERS.get(name) or _NUMBERS.get(name.partition("(")[0].strip(), name)
