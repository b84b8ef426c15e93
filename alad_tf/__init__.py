"""ALAD, Adversarially Learned Anomaly Detection (Zenati et al., ICDM 2018), on TensorFlow and Keras.

The map, in the direction that data flow (the tables themselves are in the package `architectures`):

    data        Table I: raw files, the released splits
    images      those of SVHN and CIFAR-10
    spectral    Section IV-B: spectral normalisation
    networks    Figure 1: a table becomes G, E, Dxz, Dxx and Dzz
    losses      Section IV: V(Dxz, Dxx, Dzz, E, G)
    replicas    several devices or hosts share each batch
    workers     which of several processes this one is
    loop        steps on batches, many in one call of the graph
    training    alternating updates
    checkpoints what a stopped run goes on from
    scores      Algorithm 1 and Section V-F
    metrics     Section V-A: precision, recall, F1 of the top fraction; AUROC
    settings    what a run is: protocol, options, folder
    chunks      scores of any number of rows, watched
    baselines   Section V-B: the methods beside ALAD, a package
    methods     what a run trains and scores with, for each method alike
    latency     Table IV: ALAD beside AnoGAN on one batch
    experiment  one run -> result.json
    runs        many runs, in processes of one thread
    paper       the numbers that the paper prints
    results     what runs left on disk, summed up
    report      tables: ours beside the paper's
    rendering   a table as text, Markdown or CSV
    plots       figures
    plan        the runs that the tables lack, within a budget of time
    tables      every table and figure in files: `alad tables`

and for data of one's own:

    frames        tables of rows in files, whole or chunk by chunk
    columns       which columns are numbers or categories, and what their cells must be
    preprocessing mixed columns to numbers, in JSON instead of a pickle
    calibration   thresholds and tail probabilities without labels
    model_folder  JSON, arrays and a manifest
    fitting       training with Keras callbacks and early stopping
    estimator     ALAD as a scikit-learn outlier detector: `from alad_tf import ALAD`
    own_data      from files to a model and to scored rows: `alad fit`, `score`, `inspect`

and from a trained detector to production:

    folding     networks of plain Keras layers, spectral norm folded into kernels
    signatures  the functions of an exported model
    sources     what can be exported: an estimator, a model folder, a run
    exported    versions on disk: BASE/NAME/VERSION, description, manifest
    export      a version that appears checked or not at all: `alad export`
    serve_config  the files of tensorflow_model_server: `alad serve-config`
    client      REST and gRPC, checked before it is sent
    batch       batches of rows on any engine: BatchScorer
    cluster     folders of Parquet files on Ray Data: `alad score --engine ray`
    convert     the scorer for ONNX and TensorFlow Lite: `alad convert`
    c_loader    a SavedModel through TensorFlow's C++ loader, as TensorFlow Serving loads it
    wire        protocol buffers by hand
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name, and TensorFlow with it, when it is asked for."""
    if name == "ALAD":
        from alad_tf.estimator import ALAD

        return ALAD
    if name == "BatchScorer":
        from alad_tf.batch import BatchScorer

        return BatchScorer
    if name == "load_networks":
        from alad_tf.sources import load_networks

        return load_networks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
