"""`ledger`: chosen rows are printed and measured again, a file gets them with anchors."""

from aaclip_lite.commands.ledger import Command


def test_chosen_claims_are_printed_with_their_value_now(capsys, tmp_path):
    file = tmp_path / "ledger.md"
    assert Command(document="S3", verdict="invalid", markdown=str(file)).run() == 0
    said = capsys.readouterr().out
    assert "S3:10" in said and "S3:4 " not in said and "0 moved" in said
    page = file.read_text(encoding="utf-8")
    assert "(s3-10)=" in page and "(s3-4)=" not in page
