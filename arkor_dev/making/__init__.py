"""Making rows with a teacher, another model: from documents, or as variations of rows.

Start reading at ``making``: it takes passages (``documents``, ``passages``), makes a request of each
(``kinds``, ``variations``), asks the ``teacher`` within a budget (``ledger``), checks what comes back
(``kinds``, ``duplicates``) and adds rows to a file of the project (``made_file``), where a person judges them
before they are trained on.
"""
