#!/usr/bin/env python3
"""Model cards as huggingface_hub reads them.

  check_card.py PROGRAM BUNDLE...

Writes a card for each bundle, with metadata of every form, and holds it against huggingface_hub: its front matter is read without
errors and as it was written, evaluation results too, and saving it again changes nothing. The usage block is run where transformers
loads the bundle, else compiled.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from huggingface_hub import ModelCard, metadata_load

METADATA = [
    "license=cc-by-nc-4.0",
    "language=[en]",
    "inference=false",
    'version="1.10"',
    "widget=[{text: \"a 'b': c\", example_title: x}]",
    "model-index=[{name: m, results: [{task: {type: text-to-audio}, dataset: {type: musiccaps, name: MusicCaps}, "
    "metrics: [{type: fad, value: 1.4}]}]}]",
]


def check(program, bundle, work):
    place = os.path.join(work, "README.md")
    command = [program, "-q", "card", bundle, "-o", place]
    for text in METADATA:
        command += ["--metadata", text]
    subprocess.run(command, check=True)
    data = metadata_load(place)
    assert data["license"] == "cc-by-nc-4.0" and data["language"] == ["en"], data
    assert data["inference"] is False and data["version"] == "1.10", data
    assert data["widget"] == [{"text": "a 'b': c", "example_title": "x"}], data
    assert data["pipeline_tag"] in ("text-to-audio", "audio-to-audio"), data
    assert isinstance(data["tags"], list) and data["tags"], data
    with open(place, encoding="utf-8") as file:
        text = file.read()
    card = ModelCard(text, ignore_metadata_errors=False)
    results = card.data.eval_results
    assert results and results[0].metric_value == 1.4 and results[0].dataset_name == "MusicCaps", results
    card.save(os.path.join(work, "saved.md"))
    assert ModelCard.load(os.path.join(work, "saved.md")).data.to_dict() == card.data.to_dict()
    # What a hub does to the metadata is no reason to refuse the card, and stays.
    shutil.copy(os.path.join(work, "saved.md"), place)
    subprocess.run(command, check=True)
    assert metadata_load(place) == card.data.to_dict()
    code = re.search(r"```python\n(.*?)```", text, re.S).group(1)
    statements = compile(code, bundle, "exec")
    if data.get("library_name") == "transformers":
        os.chdir(os.path.dirname(os.path.abspath(bundle)))
        exec(statements, {})
        return "usage block run"
    return "usage block compiled"


program = os.path.abspath(sys.argv[1])
for bundle in [os.path.abspath(bundle) for bundle in sys.argv[2:]]:
    with tempfile.TemporaryDirectory() as directory:
        print(bundle, check(program, bundle, directory))
