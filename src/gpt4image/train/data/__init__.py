"""What training reads: images, crops, augmentation, batches."""
