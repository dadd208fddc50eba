"""Fig. 2: do distances between gene profiles retrieve protein complexes?"""
