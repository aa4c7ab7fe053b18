"""Publishes a converted release on the Hub: the same as `mlnet push DIR HUB_ID`.

python conversion/push_to_hub.py vgg16-salicon OWNER/mlnet-vgg16-salicon [--private] [--revision BRANCH] [--dry-run]
"""

import sys

from modeling_mlnet.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "push")
    main()
