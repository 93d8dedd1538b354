"""What relying parties need to verify clients: which certificates and CRLs, rendered for each kind of software, and
proved.
"""
