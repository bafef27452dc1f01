"""`rollbook serve`: run the SCIM server."""

import os

from rollbook.cli import serve_options as options


def serve(
    host: options.Host = "127.0.0.1",
    port: options.Port = 8080,
    database: options.Database = None,
    schemas: options.Schemas = None,
    profile: options.Profile = "auto",
    setting: options.Setting = None,
    workers: options.Workers = 1,
    config: options.Config = None,
    works: options.Works = True,
    insecure_http: options.InsecureHttp = False,
    drain: options.Drain = 0.0,
    metrics: options.Metrics = None,
    tls_cert: options.TlsCert = None,
    tls_key: options.TlsKey = None,
    client_ca: options.ClientCa = None,
    client_crl: options.ClientCrl = None,
    client_cert: options.ClientCert = None,
    trusted_proxy: options.TrustedProxy = None,
    public_url: options.PublicUrl = None,
    access_log: options.AccessLog = False,
) -> None:
    """Run the SCIM server. Without options: on this machine only, on SQLite, with a first token."""
    import asyncio

    from rollbook.cli.logs import configure_logs
    from rollbook.cli.metrics import address
    from rollbook.cli.serving import serve_here
    from rollbook.settings import (
        BOOTSTRAP_TOKEN,
        Settings,
        SettingsError,
        check_exposure,
        check_public_url,
        choose_database,
        choose_password_check,
        client_certificates,
        tenant_settings,
        tls_files,
        trusted_proxies,
    )

    configure_logs()
    url, origin = choose_database(database, os.environ)
    settings = Settings(
        host=host,
        port=port,
        database=url,
        database_origin=origin,
        schemas=schemas,
        tenant=tenant_settings([f"profile={profile}", *(setting or ())]),
        config=config,
        insecure_http=insecure_http,
        tls=tls_files(tls_cert, tls_key),
        clients=client_certificates(client_ca, client_crl, client_cert, has_tls=tls_cert is not None),
        trusted=trusted_proxies(trusted_proxy or ()),
        public_url=public_url,
        drain=drain,
        access_log=access_log,
        metrics=metrics,
        password_check=choose_password_check(os.environ),
        bootstrap_token=os.environ.get(BOOTSTRAP_TOKEN) or None,
    )
    check_exposure(settings)
    check_public_url(settings)
    if metrics is not None:
        address(metrics, insecure_http=insecure_http)
    if config is not None and not config.is_file():
        raise SettingsError(f"--config {config}: there is no such file")
    if workers == 1:
        asyncio.run(serve_here(settings, works=works))
    else:
        from rollbook.cli.serving_beside import serve_by_several

        serve_by_several(settings, workers, works=works)
    print("stopped: every request was answered, the store is closed", flush=True)
