"""The script that the explorer's server runs for each reader.

It lies in a folder of its own, because Streamlit takes a folder `pages` beside its script for pages that are scripts,
and shows those instead when the first address that a new server is asked for is that of a page.
"""

from app.main import main

main()
