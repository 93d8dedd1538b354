"""Java: a small server with the rendered trust managers, which looks for new files at every connection."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
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
import java.io.FileInputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

final class Server {
    public static void main(String[] words) throws Exception {
        KeyStore own = KeyStore.getInstance("PKCS12");
        own.load(new FileInputStream(words[1]), "changeit".toCharArray());
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(own, "changeit".toCharArray());
        Path folder = Path.of(words[2]);
        Object loaded = null;
        SSLContext context = null;
        ServerSocket server = new ServerSocket(Integer.parseInt(words[0]), 50, InetAddress.getLoopbackAddress());
        while (true) {
            Socket plain = server.accept();
            Object there = Files.getAttribute(folder.resolve("crl.pem"), "unix:ino");
            if (!there.equals(loaded)) {
                context = SSLContext.getInstance("TLS");
                context.init(keys.getKeyManagers(), RevocationTrust.managers(folder), null);
                loaded = there;
            }
            try (SSLSocket secured = (SSLSocket) context.getSocketFactory().createSocket(plain, null, true)) {
                secured.setUseClientMode(false);
                secured.setNeedClientAuth(true);
                secured.setSoTimeout(5000);
                plain.setTcpNoDelay(true);
                secured.getInputStream().read(new byte[4096]);
                secured.getOutputStream().write("HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n".getBytes());
            } catch (Exception refused) {
                System.out.println(refused);
            }
        }
    }
}
"""


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    java, javac, port = find_program("java"), find_program("javac"), free_port()
    (site.folder / "Server.java").write_text(SOURCE)
    shutil.copy(rendered / "RevocationTrust.java", site.folder)
    run(
        [javac, "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-proc:none", "Server.java", "RevocationTrust.java"],
        site.folder,
    )
    assert isinstance(SERVER.key, EllipticCurvePrivateKey)
    store = serialize_key_and_certificates(
        b"server", SERVER.key, SERVER.certificate, None, BestAvailableEncryption(b"changeit")
    )
    (site.folder / "server.p12").write_bytes(store)
    options: list[str | Path] = ["-XX:+UseSerialGC", "-Xshare:auto", "-cp", site.folder]
    command: list[str | Path] = [java, *options, "Server", str(port), site.folder / "server.p12", rendered]
    log = site.folder / "output.log"
    with process(command, site.folder) as running:
        wait_until_it_listens(port, running, log.read_text)
        yield Running(port, lambda: None, log.read_text)


PARTY = RelyingParty(TargetKind.JAVA, serve, accepts=OPENSSL | {"any EKU"})
