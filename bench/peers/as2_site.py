"""Run by the peers' own Python: a site of `django-pyas2` over SQLite in the folder that PEER names.

`as2_site.py` creates it; gunicorn serves its `application`.
"""

import os
import secrets
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

SENDER, RECEIVER = "broker", "gateway"
FOLDER = Path(os.environ["PEER"])

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "site.db",
            # Else workers that write at the same time fail.
            "OPTIONS": {
                "timeout": 60,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL",
            },
        }
    },
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "pyas2"],
    LOGGING={
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "ERROR"},
    },
    MEDIA_ROOT=FOLDER / "media",
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_hex(32),
    USE_TZ=True,
)
django.setup()
urlpatterns = [path("", include("pyas2.urls"))]
application = get_wsgi_application()


def create() -> None:
    from pyas2.models import Organization, Partner, PrivateKey, PublicCertificate

    call_command("migrate", verbosity=0)
    keys = FOLDER / "keys"
    pair = (keys / f"{RECEIVER}.key").read_bytes() + (keys / f"{RECEIVER}.crt").read_bytes()
    own = PrivateKey.objects.create(name="own.pem", key=pair, key_pass="")
    known = PublicCertificate.objects.create(
        name="sender.pem", certificate=(keys / f"{SENDER}.crt").read_bytes()
    )
    Organization.objects.create(name=RECEIVER, as2_name=RECEIVER, signature_key=own)
    Partner.objects.create(
        name=SENDER,
        as2_name=SENDER,
        target_url="http://127.0.0.1/",
        signature="sha256",
        signature_cert=known,
        mdn=True,
        mdn_mode="SYNC",
        mdn_sign="sha256",
    )


if __name__ == "__main__":
    create()
