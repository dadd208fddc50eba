"""Fig. S7: screens of compounds: do effects grow with the dose, and do mechanisms agree?"""
