"""AudioCraft's own script for a release, with one line changed: no PyTorch, no AudioCraft, nothing
of the checkpoints is run. COMPRESSION is a training checkpoint of an EnCodec, or a name such as
`facebook/encodec_32khz`.

  python drop_in.py LM_CHECKPOINT COMPRESSION OUT_DIRECTORY
"""

import sys
from pathlib import Path

from craftbundle import audiocraft as export  # was: from audiocraft.utils import export

lm, compression, out_directory = sys.argv[1:]
print(export.export_lm(lm, Path(out_directory) / "state_dict.bin"))
if Path(compression).exists():
    export.export_encodec(compression, Path(out_directory) / "compression_state_dict.bin")
else:
    export.export_pretrained_compression_model(
        compression, Path(out_directory) / "compression_state_dict.bin"
    )
