"""Stand-ins for what AudioCraft imports and a loader does not use: readers of audio files, training, spaCy, Demucs, xFormers.

install() makes `import NAME` succeed. Names with a capital are empty classes, so that annotations and
base classes work, others are modules again, which do nothing as decorators; what really computes is in the few functions below."""
import importlib
import importlib.abc
import importlib.machinery
import sys
import types

NAMES = {"av", "demucs", "dora", "flashy", "laion_clap", "librosa", "num2words", "pesq", "soundfile", "spacy", "torchmetrics", "xformers"}


class Module(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (), {}) if name[0].isupper() else importlib.import_module(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value

    def __call__(self, decorated):
        return decorated


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in NAMES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        if module.__name__ == "demucs.pretrained":
            module.get_model = separator
        if module.__name__ == "librosa.filters":
            module.chroma = chroma
        if module.__name__ == "xformers.ops":
            import torch
            module.unbind = torch.unbind


def separator(_name):
    """Demucs, as far as ChromaStemConditioner looks at it when it is made."""
    import torch
    model = torch.nn.Module()
    model.sources = ["drums", "bass", "other", "vocals"]
    model.samplerate = 44100
    model.audio_channels = 2
    return model


def chroma(*, n_fft, n_chroma, **_options):
    """Filters of the right shape. They are not part of a checkpoint: melodies themselves cannot be judged with these."""
    import numpy
    return numpy.zeros((n_chroma, 1 + n_fft // 2), numpy.float32)


def install():
    sys.meta_path.insert(0, Finder())
