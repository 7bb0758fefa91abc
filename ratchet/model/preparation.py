"""The preparation of columns that every model contains, so that a model accepts raw rows.

It consists of scikit-learn's own parts, so that a model can be loaded without this repository.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from ratchet.columns import Kind, TextKind, column_type
from ratchet.model.estimators import Preparation

Group = Literal["numbers", "dates", "codes", "texts"]

MISSING = "(missing)"
MISSING_DATE = float(np.iinfo("int64").min)  # NumPy's NaT as a number
MAX_ONE_HOT_COLUMNS = 100  # for one categorical column; its rarer values share one column
MAX_CODES = 254  # HistGradientBoosting's limit
# The columns of a text: of many if the matrix may stay sparse, of few if the estimator fills it.
MAX_HASHES = {"sparse": 256, "dense": 64}
MAX_WORDS = {"sparse": 1000, "dense": 200}
WHOLE_VALUE, WORD = r"(?s)^.+$", r"\b\w+\b"
DENSE = ("dense", "boosted", "trees", "binned")


def preparation(
    needs: Preparation, kinds: Mapping[str, Kind], dtypes: Mapping[str, Any]
) -> ColumnTransformer:
    groups: dict[Group, list[str]] = {}
    texts = []
    for place, (name, kind) in enumerate(kinds.items()):
        if kind == "hash" or kind == "tfidf":
            texts.append((f"{kind} {place}", _text_pipeline(kind, needs), [name]))
        else:
            groups.setdefault(_group(kind, dtypes[name]), []).append(name)
    return ColumnTransformer(
        [(group, _pipeline(group, needs), names) for group, names in groups.items()] + texts,
        sparse_threshold=0.0 if needs in DENSE else 0.3,
        verbose_feature_names_out=False,
    )


def _group(kind: Kind, dtype: Any) -> Group:
    if kind == "categorical":
        return "codes" if column_type(kind, dtype) == "double" else "texts"
    return "dates" if kind == "date" else "numbers"


def _pipeline(group: Group, needs: Preparation) -> Pipeline:
    if group == "texts":
        # pandas gives a column of floats if every text of a request is missing.
        return make_pipeline(_as("object"), *_filled_texts(), _encoder(needs))
    if group == "codes":
        return make_pipeline(_as("float64"), _encoder(needs))
    if group == "dates":
        seconds = (_as("datetime64[s]"), _as("float64"))
        return make_pipeline(*seconds, _filled(MISSING_DATE), *_scaler(needs))
    if needs == "boosted":
        return make_pipeline(_as("float64"))
    return make_pipeline(_as("float64"), _filled(np.nan), *_scaler(needs))


def _text_pipeline(kind: TextKind, needs: Preparation) -> Pipeline:
    """Return the preparation of one column: its whole values by their hash, or its words.

    HashingVectorizer leaves the signs alone, because some estimators refuse negative numbers.
    """
    matrix = "dense" if needs in DENSE else "sparse"
    if kind == "hash":
        vectorizer = HashingVectorizer(
            n_features=MAX_HASHES[matrix],
            token_pattern=WHOLE_VALUE,
            lowercase=False,
            alternate_sign=False,
            norm=None,
        )
    else:
        vectorizer = TfidfVectorizer(max_features=MAX_WORDS[matrix], token_pattern=WORD)
    return make_pipeline(_as("object"), *_filled_texts(), FunctionTransformer(np.ravel), vectorizer)


def _as(dtype: str) -> FunctionTransformer:
    """Return a conversion to `dtype`; to a number it turns None into NaN."""
    return FunctionTransformer(np.asarray, kw_args={"dtype": dtype}, feature_names_out="one-to-one")


def _filled(missing: float) -> SimpleImputer:
    return SimpleImputer(missing_values=missing, strategy="median", keep_empty_features=True)


def _filled_texts() -> list[SimpleImputer]:
    """Return imputers for NaN (pandas) and None (JSON); both become one category.

    NaN comes first: the imputer for None refuses a column that holds NaN.
    """
    return [
        SimpleImputer(missing_values=marker, strategy="constant", fill_value=MISSING)
        for marker in (np.nan, None)
    ]


def _scaler(needs: Preparation) -> list[Any]:
    if needs in ("scaled", "dense"):
        return [StandardScaler()]
    if needs == "positive":
        return [MinMaxScaler(clip=True)]
    if needs == "binned":
        method = "averaged_inverted_cdf"
        return [KBinsDiscretizer(n_bins=10, encode="onehot-dense", quantile_method=method)]
    return []


def _encoder(needs: Preparation) -> Any:
    """Return an encoder that treats an unknown category as a rare one, or as a missing value."""
    if needs in ("boosted", "trees"):
        unknown = np.nan if needs == "boosted" else -1
        return OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=unknown,
            encoded_missing_value=unknown,
            max_categories=MAX_CODES,
        )
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MAX_ONE_HOT_COLUMNS,
        sparse_output=needs != "binned",
    )
