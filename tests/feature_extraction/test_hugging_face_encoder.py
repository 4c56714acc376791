"""HuggingFaceEncoder on tiny random Falcon and LLaVA-NeXT models (torch), nothing downloaded."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skrmt.feature_extraction import HuggingFaceEncoder
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.matching import EncoderMatcher

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

WORDS = [
    *["good", "bad", "fine", "poor", "great", "awful", "plot", "music", "actor", "scene"],
    *["the", "a", "is", "was", "very", "not", "film", "but"],
]
TEXTS = ["the film is good", "a very bad plot", "fine", "the music was not poor but great great"]


@pytest.fixture(scope="module", autouse=True)
def offline():
    """No test may reach a hub."""
    patch = pytest.MonkeyPatch()
    patch.setenv("HF_HUB_OFFLINE", "1")
    yield
    patch.undo()


def tokenizer(**special):
    """Return a tokenizer of single words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    names = ["<unk>", "<eos>", *WORDS]
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="<eos>", model_max_length=64, **special
    )


def falcon_config():
    """Return a tiny configuration of the decoder of Falcon2."""
    return transformers.FalconConfig(
        vocab_size=128,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_kv_heads=2,
        new_decoder_architecture=True,
        parallel_attn=True,
        bias=False,
        ffn_hidden_size=128,
    )


@pytest.fixture(scope="module")
def falcon():
    torch.manual_seed(0)
    return transformers.FalconModel(falcon_config()).eval()


@pytest.fixture(scope="module")
def folder(falcon, tmp_path_factory):
    path = tmp_path_factory.mktemp("falcon")
    falcon.save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def vlm():
    torch.manual_seed(1)
    vision = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        projection_dim=16,
    )
    config = transformers.LlavaNextConfig(
        vision_config=vision,
        text_config=falcon_config(),
        image_token_index=127,
        image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]],
    )
    return transformers.LlavaNextForConditionalGeneration(config).eval()


def image_processor():
    """Return what prepares images of 28 x 28 pixels."""
    return transformers.LlavaNextImageProcessor(
        size={"shortest_edge": 28},
        crop_size={"height": 28, "width": 28},
        image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]],
    )


def ready(model, **options):
    """Return a fitted encoder of a ready model."""
    return HuggingFaceEncoder(model, processor=tokenizer(), **options).fit()


def images(n=5, seed=0):
    """Return images of different sizes."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (20 + 5 * i, 30, 3), dtype=np.uint8) for i in range(n)]


@pytest.mark.parametrize("layer", [-1, 0, 1, -3])
@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
def test_texts_agree_with_one_at_a_time(falcon, layer, pooling):
    found = ready(falcon, layer=layer, pooling=pooling, batch_size=3).transform(TEXTS)
    assert found.shape == (4, 64) and found.dtype == np.float32
    words = tokenizer()
    for text, row in zip(TEXTS, found, strict=True):
        ids = torch.tensor([words(text)["input_ids"]])
        with torch.no_grad():
            states = falcon(ids, output_hidden_states=True).hidden_states[layer][0]
        wanted = {"mean": states.mean(0), "last": states[-1], "cls": states[0]}[pooling]
        np.testing.assert_allclose(row, wanted, atol=1e-5)


def test_batches_order_and_containers_do_not_matter(falcon):
    encoder = ready(falcon, batch_size=16)
    wanted = encoder.transform(TEXTS)
    np.testing.assert_allclose(ready(falcon, batch_size=1).transform(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(encoder.transform(TEXTS[::-1]), wanted[::-1], atol=1e-6)
    frame = pd.DataFrame({"text": TEXTS})
    for X in (np.array(TEXTS), np.array(TEXTS, dtype=object), frame["text"], frame, tuple(TEXTS)):
        np.testing.assert_allclose(encoder.transform(X), wanted, atol=1e-6)
    lengths = np.linalg.norm(ready(falcon, normalize=True).transform(TEXTS), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_folder_agrees_with_the_ready_model(falcon, folder):
    wanted = ready(falcon).transform(TEXTS)
    for name in (folder, str(folder)):
        encoder = HuggingFaceEncoder(name, local_files_only=True).fit(TEXTS)
        np.testing.assert_allclose(encoder.transform(TEXTS), wanted, atol=1e-6)
    half = HuggingFaceEncoder(folder, dtype="bfloat16", device="cpu").fit()
    assert next(half._loaded.model.parameters()).dtype == torch.bfloat16
    found = half.transform(TEXTS)
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() < 0.1 * np.abs(wanted).max()


def test_names_clone_pickle_and_pandas(falcon, folder):
    encoder = HuggingFaceEncoder(folder).set_output(transform="pandas").fit()
    frame = encoder.transform(TEXTS)
    assert list(frame.columns[:2]) == ["huggingfaceencoder0", "huggingfaceencoder1"]
    assert (encoder.n_layers_, encoder.n_features_out_) == (2, 64)
    state = pickle.dumps(encoder)
    assert len(state) < 20_000
    np.testing.assert_allclose(pickle.loads(state).transform(TEXTS), frame)
    copy = clone(ready(falcon, layer=1))
    assert copy.model is falcon and copy.layer == 1
    with pytest.raises(NotFittedError):
        copy.transform(TEXTS)


def test_cache_on_disk(falcon, tmp_path):
    calls = []
    hook = falcon.register_forward_hook(lambda *_: calls.append(1))
    encoder = ready(falcon, memory=str(tmp_path))
    first = encoder.transform(TEXTS)
    number = len(calls)
    assert np.array_equal(ready(falcon, memory=str(tmp_path)).transform(TEXTS), first)
    assert len(calls) == number
    ready(falcon, memory=str(tmp_path), layer=0).transform(TEXTS)
    assert len(calls) > number
    hook.remove()


def test_long_texts_are_cut_with_one_warning(falcon):
    encoder = ready(falcon, max_length=3)
    with pytest.warns(UserWarning, match="3 of 4 texts have more than max_length=3") as caught:
        found = encoder.transform(TEXTS)
    assert len(caught) == 1
    short = [" ".join(text.split()[:3]) for text in TEXTS]
    np.testing.assert_allclose(found, encoder.transform(short), atol=1e-5)


def test_progress_on_long_input(falcon, capfd):
    ready(falcon, batch_size=1).transform(TEXTS * 10)
    assert "HuggingFaceEncoder" in capfd.readouterr().err
    ready(falcon, batch_size=1, verbose=0).transform(TEXTS * 10)
    assert capfd.readouterr().err == ""


def test_memory_is_told_before_loading(falcon, folder):
    estimate = HuggingFaceEncoder(folder, dtype="bfloat16", batch_size=4).memory_estimate()
    assert estimate.n_parameters == sum(p.numel() for p in falcon.parameters()) == 66176
    assert estimate.weights == 2 * 66176
    assert estimate.total == estimate.weights + estimate.activations
    double = HuggingFaceEncoder(folder, dtype="bfloat16", batch_size=8).memory_estimate()
    assert double.activations == 2 * estimate.activations
    assert ready(falcon).memory_estimate().weights == 4 * 66176


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_images_agree_with_the_vision_tower(vlm, pooling):
    pytest.importorskip("PIL")
    encoder = HuggingFaceEncoder(
        vlm, modality="image", processor=image_processor(), pooling=pooling, batch_size=2
    ).fit()
    found = encoder.transform(images())
    assert found.shape == (5, 32)
    pixels = image_processor()(images=images()[:1], return_tensors="pt")["pixel_values"][:, 0]
    tower = vlm.model.vision_tower if hasattr(vlm, "model") else vlm.vision_tower
    with torch.no_grad():
        states = tower(pixels, output_hidden_states=True).hidden_states[-1][0]
    wanted = states[1:].mean(0) if pooling == "mean" else states[0]
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)


def test_images_of_every_kind_and_the_projector(vlm, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    encoder = HuggingFaceEncoder(vlm, modality="image", processor=image_processor()).fit()
    arrays = images(3)
    wanted = encoder.transform(arrays)
    pictures = [Image.fromarray(array) for array in arrays]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    for X in (pictures, paths, [str(path) for path in paths], [a / 255 for a in arrays]):
        np.testing.assert_allclose(encoder.transform(X), wanted, atol=1e-5)
    grey = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    stacked = np.repeat(grey[:, :, None], 3, axis=2)
    np.testing.assert_allclose(encoder.transform([grey]), encoder.transform([stacked]))
    many = np.stack([stacked] * 3)
    assert encoder.transform(many).shape == (3, 32)
    projected = HuggingFaceEncoder(
        vlm, modality="image", processor=image_processor(), layer="projector"
    ).fit()
    assert projected.transform(arrays).shape == (3, 64) == (3, projected.n_features_out_)


def test_text_of_a_vision_language_model(vlm):
    found = ready(vlm).transform(TEXTS)
    assert found.shape == (4, 64)


def test_vision_language_model_from_a_folder(vlm, tmp_path):
    pytest.importorskip("PIL")
    vlm.save_pretrained(tmp_path)
    image_processor().save_pretrained(tmp_path)
    encoder = HuggingFaceEncoder(tmp_path, modality="image").fit()
    wanted = HuggingFaceEncoder(vlm, modality="image", processor=image_processor()).fit()
    np.testing.assert_allclose(encoder.transform(images(2)), wanted.transform(images(2)), atol=1e-5)
    estimate = encoder.memory_estimate()
    assert estimate.n_parameters == sum(p.numel() for p in vlm.parameters())


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_pipelines(falcon, vlm):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    good, bad = ["good", "fine", "great"], ["bad", "poor", "awful"]
    texts = [f"the {rng.choice(WORDS[6:10])} is {rng.choice(good if k else bad)}" for k in y]
    pipeline = make_pipeline(
        HuggingFaceEncoder(falcon, processor=tokenizer(), pooling="last"),
        NoiseAwareLinearClassifier(),
    )
    noisy = np.where(rng.uniform(size=120) < 0.1, 1 - y, y)
    assert pipeline.fit(texts, noisy).score(texts, y) > 0.8
    assert 0.5 <= pipeline[-1].theoretical_accuracy_ <= 1
    first = ready(falcon, layer=1).transform(texts)
    second = ready(falcon, pooling="last").transform(texts)
    matcher = EncoderMatcher(random_state=0).fit(first[:80], second[:80])
    assert matcher.z_score_ > 5
    assert matcher.match(first[80:], second[80:]).indices.shape == (40,)


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        ("the film", TypeError, "single string"),
        ([], ValueError, "no item"),
        (["good", ""], ValueError, r"X\[1\] is an empty text"),
        (["good", "  "], ValueError, "empty"),
        (["good", 3], TypeError, r"X\[1\] is int"),
        (3, TypeError, "must hold"),
        (np.array([["a", "b"]]), ValueError, "one column"),
    ],
)
def test_bad_texts_are_named(falcon, X, error, match):
    with pytest.raises(error, match=match):
        ready(falcon).transform(X)


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        ("file.png", TypeError, "single path"),
        (["missing.png"], ValueError, "missing.png"),
        ([np.zeros((4, 4, 7))], ValueError, "channels"),
        ([np.full((4, 4), 3.5)], ValueError, "outside"),
        ([np.full((4, 4), 300)], ValueError, "0 to 255"),
        ([np.full((4, 4), np.nan)], ValueError, "outside"),
        ([None], TypeError, "NoneType"),
    ],
)
def test_bad_images_are_named(vlm, X, error, match):
    pytest.importorskip("PIL")
    encoder = HuggingFaceEncoder(vlm, modality="image", processor=image_processor()).fit()
    with pytest.raises(error, match=match):
        encoder.transform(X)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layer": 5}, "layer=5 does not exist"),
        ({"layer": "projector"}, "projector"),
        ({"pooling": "max"}, "pooling"),
        ({"modality": "sound"}, "modality"),
        ({"batch_size": 0}, "batch_size"),
        ({"dtype": "int8"}, "dtype"),
        ({"processor": None}, "tokenizer"),
    ],
)
def test_bad_parameters_are_named_and_leave_the_fit(falcon, options, match):
    encoder = ready(falcon)
    before = encoder.n_features_out_
    with pytest.raises(ValueError, match=match):
        encoder.set_params(**options).fit()
    assert encoder.n_features_out_ == before


def test_missing_models_are_named(tmp_path):
    for name in ("nobody/no-such-model", str(tmp_path)):
        with pytest.raises(ValueError, match="could not be loaded"):
            HuggingFaceEncoder(name).fit()
    (tmp_path / "config.json").write_text(falcon_config().to_json_string())
    with pytest.raises(ValueError, match="could not be loaded"):
        HuggingFaceEncoder(tmp_path).fit()
    with pytest.raises(ValueError, match="model must be"):
        HuggingFaceEncoder(3).fit()


def modes(model):
    """Return in which mode each part of a model is."""
    return [module.training for module in model.modules()]


def dropout_falcon():
    """Return a model in training whose dropout would make features random."""
    config = falcon_config()
    config.hidden_dropout = config.attention_dropout = 0.5
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.FalconModel(config).train()


def test_a_ready_model_is_left_as_it_was():
    model = dropout_falcon()
    model.h[0].eval()
    before, mode = {k: v.clone() for k, v in model.state_dict().items()}, modes(model)
    encoder = HuggingFaceEncoder(model, processor=tokenizer()).fit(TEXTS)
    assert modes(model) == mode
    first = encoder.transform(TEXTS)
    assert modes(model) == mode
    np.testing.assert_array_equal(encoder.transform(TEXTS), first)
    with pytest.raises(ValueError, match="empty"):
        encoder.transform([""])
    for kind in ("bfloat16", "float64"):
        other = HuggingFaceEncoder(model, processor=tokenizer(), dtype=kind).fit_transform(TEXTS)
        np.testing.assert_allclose(other, first, atol=0.1)
        assert modes(model) == mode
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in model.parameters())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


def test_the_mode_comes_back_where_a_model_fails():
    model = dropout_falcon()
    encoder = HuggingFaceEncoder(model, processor=tokenizer(), layer=1).fit()
    encoder.layer = 7
    with pytest.raises(ValueError, match="layer=7"):
        encoder.transform(TEXTS)
    assert model.training


def test_models_of_the_type_asked_for_are_not_copied(falcon, monkeypatch):
    monkeypatch.setattr(type(falcon), "__deepcopy__", lambda *_: pytest.fail("copied"), False)
    options = {"dtype": "float32", "device": "cpu"}
    HuggingFaceEncoder(falcon, processor=tokenizer(), **options).fit_transform(TEXTS)


def test_weights_in_pickles_are_refused_unless_asked_for(falcon, tmp_path):
    falcon.config.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    torch.save(falcon.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="use_safetensors=None"):
        HuggingFaceEncoder(tmp_path).fit()
    expected = HuggingFaceEncoder(falcon, processor=tokenizer()).fit_transform(TEXTS)
    found = HuggingFaceEncoder(tmp_path, use_safetensors=None).fit_transform(TEXTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_revision_is_passed_on(folder, monkeypatch):
    seen = []
    for reader in ("AutoConfig", "AutoModel", "AutoTokenizer"):
        cls = getattr(transformers, reader)
        read = cls.from_pretrained

        def spy(*args, _read=read, **options):
            seen.append((options["revision"], options.get("use_safetensors")))
            return _read(*args, **options)

        monkeypatch.setattr(cls, "from_pretrained", spy)
    HuggingFaceEncoder(folder, revision="abc123").fit()
    # Transformers' own readers may call one another.
    assert set(seen) == {("abc123", None), ("abc123", True)} and len(seen) >= 3


@pytest.mark.parametrize(
    ("kind", "learned"),
    [("Bert", 16), ("Roberta", 14), ("GPT2", 16)],
)
def test_more_tokens_than_learned_positions(kind, learned):
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 16} if kind == "GPT2" else {
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 16}  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=128, bos_token_id=1, eos_token_id=1, **sizes
    )
    with torch.random.fork_rng():
        model = getattr(transformers, f"{kind}Model")(config).eval()
    words = tokenizer(pad_token="<eos>")
    long = " ".join(WORDS[i % 10] for i in range(30))
    cut = " ".join(WORDS[i % 10] for i in range(learned))
    with pytest.warns(UserWarning, match=f"more than max_length={learned} tokens"):
        found = HuggingFaceEncoder(model, processor=words).fit_transform([long])
    expected = HuggingFaceEncoder(model, processor=words, max_length=learned).fit_transform([cut])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match=f"max_length={learned + 1} is more than the {learned}"):
        HuggingFaceEncoder(model, processor=words, max_length=learned + 1).fit()
