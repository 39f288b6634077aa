"""Which package a module of Python is in, where they differ in name."""

from __future__ import annotations

DISTRIBUTIONS = {
    "Crypto": "pycryptodome", "MySQLdb": "mysqlclient", "OpenSSL": "pyopenssl", "PIL": "pillow", "attr": "attrs",
    "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "docx": "python-docx",
    "dotenv": "python-dotenv", "fitz": "pymupdf", "git": "gitpython", "jwt": "pyjwt", "kafka": "kafka-python",
    "pptx": "python-pptx", "psycopg2": "psycopg2-binary", "serial": "pyserial", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "slugify": "python-slugify", "snowflake": "snowflake-connector-python",
    "umap": "umap-learn", "yaml": "pyyaml", "zmq": "pyzmq",
}  # fmt: skip


def package_of(module: str) -> str:
    """The package that has a module.

    >>> package_of("sklearn.linear_model"), package_of("google.cloud.storage"), package_of("pandas")
    ('scikit-learn', 'google-cloud-storage', 'pandas')
    """
    top = module.split(".")[0]
    return "-".join(module.split(".")[:3]) if module.startswith("google.cloud.") else DISTRIBUTIONS.get(top, top)
