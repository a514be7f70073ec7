"""The laboratory: how the world, the embedded CLIP and the recipe were made and measured.

Special: it may import everything and nothing imports it. Each tool is a module with a dataclass of
options and `run(options)`; all of them train and judge through `study.py`, which also fills their
cards, the Markdown templates beside them.
Use: `python -m aaclip_lite lab NAME`, `python -m aaclip_lite lab NAME --help`.
"""

# name: (module of the package, its dataclass of options, what it does)
TOOLS = {
    "pretrain": ("world.clip.run", "Pretraining", "Make the embedded CLIP anew, from nothing."),
    "gates": ("lab.gates", "Gates", "Measure the embedded CLIP and write its card."),
    "levers": ("lab.levers", "Levers", "What each part of pretraining is worth, in short runs."),
    "yardsticks": ("lab.yardsticks", "Yardsticks", "How hard the factory's world is; its card."),
    "deviations": ("lab.deviations", "Deviations", "What each choice of the recipe is worth."),
    "crossing": ("lab.trials", "Crossing", "The fair trial of chapter 12's cross-attention."),
    "improvements": ("lab.trials", "Improvements", "S1's ten areas, each idea tried."),
    "bench": ("lab.bench", "Bench", "Measure speed and memory on this machine."),
    "real": ("lab.real", "Real", "The shipped detector on real photographs that you have."),
}
