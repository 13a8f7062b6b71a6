#!/usr/bin/env python3
"""Writes the bill of materials of a release, in CycloneDX: which software of others is inside the archive, in which version.
    sbom.py VERSION BUILD INSTALLED OUTPUT
BUILD as for carried.py, INSTALLED what the archive holds. Needs cyclonedx-python-lib (cmake/release/requirements.txt)."""
import datetime
import os
import pathlib
import sys
import uuid

from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

import carried


def component(each):
    return Component(
        type=ComponentType.LIBRARY,
        name=each.package,
        version=each.version,
        bom_ref=each.package,
        purl=PackageURL("deb", "debian", each.package, each.version, {"upstream": each.source}),
        external_references=[ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(each.homepage))]
        if each.homepage
        else [],
        properties=[Property(name="craftbundle:carried", value=word) for word in each.how],
    )


def main(version, build, installed, output):
    program = Component(type=ComponentType.APPLICATION, name="craftbundle", version=version, bom_ref="craftbundle")
    bom = Bom(components=[component(each) for each in carried.carried(build, installed)])
    bom.metadata.component = program
    # The same release has the same bill.
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"craftbundle-{version}")
    bom.register_dependency(program, list(bom.components))
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"{output}: {error}")
    pathlib.Path(output).write_text(text + "\n")


main(*sys.argv[1:])
