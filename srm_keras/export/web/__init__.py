"""What the web page in docs/web_demo runs, and a browser to run it in."""
