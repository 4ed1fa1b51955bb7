"""The model card, and the page that explains it."""

import yaml

from gest.hub.card import model_card


def test_the_card_describes_this_model(model, shared):
    front, text = (shared / "README.md").read_text().removeprefix("---\n").split("---\n", 1)
    assert yaml.safe_load(front) == {
        "library_name": "gest",
        "license": "cc0-1.0",
        "tags": ["spatial-transcriptomics", "gest"],
    }
    vocabulary = model.vocabulary
    for part in (
        "Simulated tissue. Trained on 1,000 cells, from 5,000 predictions",
        f"{vocabulary.normalisation['target_sum']:g} per cell",
        f"{len(vocabulary)} meta cells",
        "gene_12, and 28 more",
        "| loss | 1.5 |",
        "| validation_loss | null |",
        f"{sum(p.numel() for p in model.parameters()):,} parameters",
        "reaches 150 µm",
    ):
        assert part in text
    assert "are not stated" in model_card(model)


def test_the_page_on_the_card_explains_each_of_its_parts(model, shared, request):
    page = (request.config.rootpath / "docs" / "model_card.md").read_text()
    headings = [line[3:] for line in (shared / "README.md").read_text().splitlines() if line.startswith("## ")]
    assert headings == ["Use", "Data", "Genes", "Metrics", "Limits"]
    for heading in headings:
        assert f"**{heading}**" in page
