"""Installs an image's R packages while it is built: `python3 -I <this folder> renv.lock LIBRARY`. No other packages."""
