"""The zoo: real architectures at their real input sizes, each built by EdgeKit and by the stock recipes, and measured.

What is in it stands in ``bench.zoo.catalog``. Nothing here imports EdgeKit but the modules that build or write pages,
so that ``bench.zoo.baselines`` runs where torch stands alone.
"""
