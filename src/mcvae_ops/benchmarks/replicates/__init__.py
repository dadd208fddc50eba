"""Fig. S4, S5: do replicates agree, and how many cells does a screen need?"""
