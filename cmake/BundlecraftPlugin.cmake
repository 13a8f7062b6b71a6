# bundlecraft_add_plugin: see docs/writing_an_exporter.md
