"""What may leave a request, a task or the node: an allow-list first, then a deny-list at any depth.

The allow-lists (``actions``, ``structure``, ``workloads``) are shapes (``shape``): what they do not
name is gone, whatever it is called. The deny-list (``deny``) then looks at everything that is left.
"""
