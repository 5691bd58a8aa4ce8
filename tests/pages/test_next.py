"""Where a sign-in leads to: a path of this origin or nowhere."""

from __future__ import annotations

import pytest

from watchword.pages.routes import local_path


@pytest.mark.parametrize("wanted", ["/", "/profile", "/a/b?c=d&e=/f", "/x#y", "/%2f%2fevil.example"])
def test_a_path_of_this_origin_is_kept(wanted: str) -> None:
    assert local_path(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        *(
            "",
            "profile",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
        ),
        *(
            "\t//evil.example",
            " /profile",
            "https://evil.example",
            "https:evil.example",
            "https:/evil.example",
        ),
        *(
            "javascript:alert(1)",
            "data:text/html,x",
            "@evil.example",
            "/\r\nSet-Cookie: a=b",
            "/\x00",
            "/\u3002evil",
        ),
        *("\uff0f\uff0fevil.example", '/"><script>alert(1)</script>', "/</script><script>alert(1)</script>"),
    ],
)
def test_whatever_might_lead_elsewhere_leads_nowhere(wanted: str) -> None:
    """Attack 88; ASVS 1.2.2, 1.2.3, 3.7.2."""
    assert local_path(wanted) == ""
