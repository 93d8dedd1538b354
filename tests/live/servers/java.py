"""Java: a small HTTPS server with the rendered trust managers."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from pkiops.environment.models import TargetKind
from tests.live.relying_party import (
    OPENSSL,
    RelyingParty,
    Running,
    find_program,
    free_port,
    process,
    run,
    wait_until_it_listens,
)
from tests.live.site import SERVER, Site

SOURCE = """
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;

final class Server {
    public static void main(String[] words) throws Exception {
        KeyStore own = KeyStore.getInstance("PKCS12");
        own.load(new FileInputStream(words[1]), "changeit".toCharArray());
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(own, "changeit".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), RevocationTrust.managers(Path.of(words[2])), null);
        HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(words[0])), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            @Override public void configure(HttpsParameters parameters) {
                SSLParameters demanded = getSSLContext().getDefaultSSLParameters();
                demanded.setNeedClientAuth(true);
                parameters.setSSLParameters(demanded);
            }
        });
        server.createContext("/", exchange -> { exchange.sendResponseHeaders(200, -1); exchange.close(); });
        server.start();
    }
}
"""


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    java, javac, port = find_program("java"), find_program("javac"), free_port()
    (site.folder / "Server.java").write_text(SOURCE)
    shutil.copy(rendered / "RevocationTrust.java", site.folder)
    run([javac, "-proc:none", "Server.java", "RevocationTrust.java"], site.folder)
    store = serialize_key_and_certificates(
        b"server", SERVER.key, SERVER.certificate, None, BestAvailableEncryption(b"changeit")
    )
    (site.folder / "server.p12").write_bytes(store)
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp", site.folder]
    command = [java, *options, "Server", str(port), site.folder / "server.p12", rendered]
    log = site.folder / "output.log"
    with contextlib.ExitStack() as stack:

        def start() -> None:
            running: subprocess.Popen[bytes] = stack.enter_context(process(command, site.folder))
            wait_until_it_listens(port, running, log.read_text)

        def start_again() -> None:
            stack.close()
            start()

        start()
        yield Running(port, start_again, log.read_text)


PARTY = RelyingParty(TargetKind.JAVA, serve, accepts=OPENSSL | {"any EKU"})
