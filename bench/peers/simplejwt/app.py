"""Django REST framework with SimpleJWT, rotation and blacklist on, under gunicorn with one worker of 8 threads.

- guard: `JWTAuthentication` verifies an HS256 signature and reads the user's row, each request.
- refresh: verifies the token, asks whether it is on the blacklist, reads the user, puts the old token on the blacklist
  and the new one on the list of outstanding ones: about four reads, and three inserts in transactions of their own.
  A token that is used again is refused, and that is all that follows.
- login: reads the user's row, verifies PBKDF2 (Django's default and its iterations), writes the outstanding token.

SQLite is in WAL mode with synchronous=FULL and `transaction_mode=IMMEDIATE`; connections stay open (CONN_MAX_AGE=None),
else each request would open one. Installed apps and middleware are those that the three routes need and no more.
"""

from __future__ import annotations

import os
from datetime import timedelta

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.configure(
    SECRET_KEY=os.environ["PEER_SECRET"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework_simplejwt",
        "rest_framework_simplejwt.token_blacklist",
    ],
    # It gives answers their length.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["PEER_DATABASE"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
        "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
    },
)
django.setup()

# Django's own modules can be imported only now that it is configured.
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView  # noqa: E402


@api_view(["GET"])
def item(request: Request) -> Response:
    return Response({"id": f"{request.user.id:036d}"})


urlpatterns = [
    path("item", item),
    path("auth/login", TokenObtainPairView.as_view()),
    path("auth/refresh", TokenRefreshView.as_view()),
]


def prepare() -> None:
    """Tables and people, before the server starts."""
    call_command("migrate", verbosity=0)
    for number in range(int(os.environ["PEER_PEOPLE"])):
        User.objects.create_user(
            f"user{number}@example.com", f"user{number}@example.com", os.environ["PEER_PASSWORD"]
        )


if __name__ == "__main__":
    prepare()
else:
    application = get_wsgi_application()
