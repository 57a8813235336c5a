"""What is wrong with a data set, before anything is trained on it.

audit_findings(load("photos"), collect("photos"))      findings, and a list of the images behind each
"""

from tenfold.checks.audit.audit import Audit, audit_findings, cheap_findings
from tenfold.checks.audit.lists import Listed

__all__ = ["Audit", "Listed", "audit_findings", "cheap_findings"]
