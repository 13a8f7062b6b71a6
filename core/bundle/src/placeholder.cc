namespace bundlecraft {}
