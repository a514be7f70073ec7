"""`ledger`: the claims of the five reference documents, the quick ones measured again."""

from dataclasses import dataclass
from typing import Literal

from . import _shared as shared


@dataclass(frozen=True)
class Command:
    """Claims of five reports with verdicts; quick ones are measured again; exit code 1 if any moved."""

    document: Literal["S0", "S1", "S2", "S3", "S4"] | None = None  # only this document's
    # only claims with this verdict
    verdict: Literal["true", "false", "mixed", "invalid", "unsupported", "contradicted"] | None = (
        None
    )
    markdown: str | None = None  # also write the chosen claims to this file, an anchor each

    def refuse_unfit(self, given: set[str]) -> None:
        if self.markdown is not None:
            shared.a_file_to_write("--markdown", self.markdown)

    def run(self) -> int:
        from ..course import ledger
        from ..files.keep import write_text

        rows = ledger.select(document=self.document, verdict=self.verdict)
        results = ledger.again(rows)
        print(ledger.table(rows, results))
        moved = [each.claim.key for each in results if not each.agrees]
        print(
            f"{len(rows)} claims, {len(results)} measured again, {len(moved)} moved; the others "
            "show the date of their measurement"
        )
        if self.markdown:
            print(write_text(self.markdown, ledger.page(rows)))
        return int(bool(moved))
