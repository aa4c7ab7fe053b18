"""From images to files of saliency maps."""
