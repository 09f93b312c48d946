"""The read path: a JSON, CSV and report API over the published marts, and the page that uses it.

Its database role may read the schema ``marts`` and the status views of ``ops``, nothing else.
"""
