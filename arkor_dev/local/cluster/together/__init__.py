"""Several places of a cluster for one job: taken all or none, and watched as one.

``places`` takes them, ``others`` starts the workers beside the first one and sees when one of them is gone.
"""
