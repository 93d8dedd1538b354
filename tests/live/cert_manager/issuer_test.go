package cert_manager

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/aws-privateca-issuer/pkg/api/v1beta1"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
)

func newRequest(t *testing.T, name string) (*ecdsa.PrivateKey, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	asked := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}
	der, err := x509.CreateCertificateRequest(rand.Reader, asked, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func unchanged(*v1beta1.AWSPCAIssuerSpec) {}

// What a workload finds in its secret: the certificate and what stands between it and the root, and the root apart.
func TestAClientsCertificate(t *testing.T) {
	c := newCluster(t)
	c.issuer("clients", unchanged)
	key, csr := newRequest(t, "client.example.com")
	done := c.request("client", "clients", csr, 48*time.Hour, cmapi.UsageClientAuth)
	if why, message := reason(done); why != cmapi.CertificateRequestReasonIssued {
		t.Fatalf("%s: %s", why, message)
	}
	if got, want := strings.TrimSpace(string(done.Status.CA)), strings.TrimSpace(os.Getenv("ROOT_PEM")); got != want {
		t.Errorf("another root: %s", got)
	}
	first, rest := pem.Decode(done.Status.Certificate)
	leaf, err := x509.ParseCertificate(first.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) || leaf.VerifyHostname("client.example.com") != nil {
		t.Errorf("the certificate is not what was asked for: %s, %v", leaf.Subject, leaf.DNSNames)
	}
	for usage, accepted := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageClientAuth: true, x509.ExtKeyUsageServerAuth: false} {
		roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
		if !roots.AppendCertsFromPEM(done.Status.CA) || !intermediates.AppendCertsFromPEM(rest) {
			t.Fatalf("no chain: %s", done.Status.Certificate)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage}})
		if (err == nil) != accepted {
			t.Errorf("usage %v: %v", usage, err)
		}
	}
	// the issuer says both ends itself, its own 15 minutes of backdating among them
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life != 48*time.Hour+15*time.Minute {
		t.Errorf("it lives for %s", life)
	}
}

// The issuer's token is made of the request's name alone: the same request in a cluster that lost its memory costs nothing,
// though its validity counts from another second.
func TestTheSameRequestIsOneCertificate(t *testing.T) {
	_, csr := newRequest(t, "again.example.com")
	var issued [][]byte
	for range 2 {
		c := newCluster(t)
		c.issuer("again", unchanged)
		done := c.request("again", "again", csr, 24*time.Hour, cmapi.UsageServerAuth, cmapi.UsageClientAuth)
		if why, message := reason(done); why != cmapi.CertificateRequestReasonIssued {
			t.Fatalf("%s: %s", why, message)
		}
		issued = append(issued, done.Status.Certificate)
	}
	if !bytes.Equal(issued[0], issued[1]) {
		t.Error("two certificates")
	}
}

// The template with passthrough that the issuer takes where it has none for the usages.
func TestOtherUsagesComeFromTheRequest(t *testing.T) {
	c := newCluster(t)
	c.issuer("others", unchanged)
	_, csr := newRequest(t, "others.example.com")
	done := c.request("others", "others", csr, 24*time.Hour, cmapi.UsageDigitalSignature, cmapi.UsageEmailProtection)
	if why, message := reason(done); why != cmapi.CertificateRequestReasonIssued {
		t.Fatalf("%s: %s", why, message)
	}
}

// What the service refuses stands in the request's status, with the service's own code and words.
func TestRefusals(t *testing.T) {
	_, csr := newRequest(t, "refused.example.com")
	for name, each := range map[string]struct {
		code   string
		life   time.Duration
		change func(*v1beta1.AWSPCAIssuerSpec)
	}{
		"too-long":   {"ValidationException", 24 * time.Hour * 36500, unchanged},
		"not-shared": {"AccessDeniedException", time.Hour, func(s *v1beta1.AWSPCAIssuerSpec) { s.Role = "arn:aws:iam::999999999999:role/x" }},
		"nobody":     {"ResourceNotFoundException", time.Hour, func(s *v1beta1.AWSPCAIssuerSpec) { s.Arn = s.Arn[:len(s.Arn)-12] + "000000000000" }},
		"template": {"InvalidArgsException", time.Hour, func(s *v1beta1.AWSPCAIssuerSpec) {
			s.PCATemplate = &v1beta1.PCATemplate{DefaultTemplateName: "Nothing/V1"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.issuer(name, each.change)
			done := c.request(name, name, csr, each.life, cmapi.UsageClientAuth)
			why, message := reason(done)
			if why != cmapi.CertificateRequestReasonFailed || !strings.Contains(message, each.code) {
				t.Errorf("%s: %s", why, message)
			}
		})
	}
}
