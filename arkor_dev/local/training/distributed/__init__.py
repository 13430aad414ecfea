"""One job that several worker processes train together, each on its share of every batch.

``meeting`` is where they find each other, ``group`` what they tell each other, ``run`` the training with it.
Start there.
"""
