"""Go: a server with the rendered package, which gives every connection the configuration of now."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from pkiops.environment.models import TargetKind
from tests.live.relying_party import (
    OPENSSL,
    PATH,
    RelyingParty,
    Running,
    find_program,
    free_port,
    process,
    run,
    wait_for,
    wait_until_it_listens,
)
from tests.live.site import Site

SOURCE = """
package main

import (
	"crypto/tls"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"trial/trust"
)

func main() {
	own, err := tls.LoadX509KeyPair(os.Args[3], os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	var current atomic.Value
	load := func() {
		config, err := trust.Config(os.Args[2], own)
		if err != nil {
			log.Fatal(err)
		}
		current.Store(config)
		log.Print("loaded")
	}
	load()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			load()
		}
	}()
	server := &http.Server{
		Addr:    os.Args[1],
		Handler: http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(200) }),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{own},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return current.Load().(*tls.Config), nil
			},
		},
	}
	log.Fatal(server.ListenAndServeTLS("", ""))
}
"""
# the compiled standard library comes out of Go's own cache
KEPT = ("HOME", "GOCACHE", "GOPATH", "GOROOT")


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    program, port = find_program("go"), free_port()
    source = site.folder / "source"
    source.mkdir()
    (source / "go.mod").write_text("module trial\n\ngo 1.21\n")
    (source / "main.go").write_text(SOURCE)
    shutil.copytree(rendered / "trust", source / "trust")
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    offline = {"PATH": PATH, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=mod", **kept}
    run([program, "vet", "./trust"], source, environment=offline)
    run([program, "build", "-o", "server", "."], source, environment=offline)
    own = [site.folder / "server.pem", site.folder / "server.key"]
    log = site.folder / "output.log"
    with process([source / "server", f"127.0.0.1:{port}", rendered, *own], site.folder) as running:
        wait_until_it_listens(port, running, log.read_text)

        def reload() -> None:
            before = log.read_text().count("loaded")
            running.send_signal(signal.SIGHUP)
            wait_for(lambda: log.read_text().count("loaded") > before, "the reload")

        yield Running(port, reload, log.read_text)


PARTY = RelyingParty(TargetKind.GO, serve, accepts=OPENSSL | {"any EKU"})
