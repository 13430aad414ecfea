"""A backend's jobs for whoever uses them: what the commands and the Python API have in common.

Choosing a job (``job_list``), creating (``creation``), repeating (``repetition``), following
(``following``), evaluating (``evaluation``), exporting (``exports``) and serving (``endpoints``) one, and
training it again for comparison (``reproduction``). ``which_backend`` selects the backend. Prints nothing:
progress goes to the caller's function. It may import ``connection`` and the layers below; start with
``job_list``.
"""
