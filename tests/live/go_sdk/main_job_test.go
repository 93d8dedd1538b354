package go_sdk

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A root, an authority for clients below it, a client's certificate that Go's verifier takes for a client and for nothing
// else, and after its revocation a CRL that lists it: out of S3, and by HTTP from where the certificate says.
func TestMainJob(t *testing.T) {
	s := connect(t)
	bucket := "go-main-job"
	s.makeBucket(bucket)
	root := s.activeRoot("Go Root", bucket)
	clients := s.create(types.CertificateAuthorityTypeSubordinate, "Go Clients", bucket)
	if again := s.create(types.CertificateAuthorityTypeSubordinate, "Go Clients", bucket); again != clients {
		t.Errorf("a repeated call made another authority: %s, %s", clients, again)
	}
	intermediate := s.issue(root, "SubordinateCACertificate_PathLen0", s.csrOf(clients), 1825)
	s.install(clients, intermediate.Certificate, intermediate.CertificateChain)
	described, err := s.pca.DescribeCertificateAuthority(s.ctx, &acmpca.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &clients})
	if status := must(s, described, err).CertificateAuthority.Status; status != types.CertificateAuthorityStatusActive {
		t.Errorf("the authority is %s", status)
	}
	good := s.issue(clients, "EndEntityClientAuthCertificate", s.request("good"), 30)
	bad := s.issue(clients, "EndEntityClientAuthCertificate", s.request("bad"), 30)
	s.verify(good, x509.ExtKeyUsageClientAuth, true)
	s.verify(good, x509.ExtKeyUsageServerAuth, false)
	if uris := s.parse(good.Certificate).URIs; len(uris) != 1 || uris[0].String() != "spiffe://example.com/good" {
		t.Errorf("the certificate is for %v", uris)
	}
	revoked := s.parse(bad.Certificate)
	_, err = s.pca.RevokeCertificate(s.ctx, &acmpca.RevokeCertificateInput{
		CertificateAuthorityArn: &clients,
		CertificateSerial:       ptr(fmt.Sprintf("%x", revoked.SerialNumber)),
		RevocationReason:        types.RevocationReasonKeyCompromise,
	})
	must(s, 0, err)
	s.checkRevocation(bucket, clients, s.parse(intermediate.Certificate), revoked)
}

func ptr[T any](value T) *T { return &value }

// verify asks crypto/x509 with the root out of the chain that the service gave.
func (s *service) verify(issued *acmpca.GetCertificateOutput, usage x509.ExtKeyUsage, accepted bool) {
	s.Helper()
	above, top, found := strings.Cut(*issued.CertificateChain, "-----END CERTIFICATE-----\n")
	if !found {
		s.Fatalf("the chain holds one certificate: %s", *issued.CertificateChain)
	}
	intermediates, roots := x509.NewCertPool(), x509.NewCertPool()
	intermediates.AddCert(s.parse(ptr(above + "-----END CERTIFICATE-----\n")))
	roots.AddCert(s.parse(&top))
	_, err := s.parse(issued.Certificate).Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if (err == nil) != accepted {
		s.Errorf("usage %v: %v", usage, err)
	}
}

func (s *service) checkRevocation(bucket, authority string, issuer, revoked *x509.Certificate) {
	s.Helper()
	key := "crl/" + authority[strings.LastIndex(authority, "/")+1:] + ".crl"
	object, err := s.s3.GetObject(s.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	content, err := io.ReadAll(must(s, object, err).Body)
	list, err := x509.ParseRevocationList(must(s, content, err))
	must(s, list, err)
	if err := list.CheckSignatureFrom(issuer); err != nil {
		s.Error(err)
	}
	entries := list.RevokedCertificateEntries
	if len(entries) != 1 || entries[0].SerialNumber.Cmp(revoked.SerialNumber) != 0 || entries[0].ReasonCode != 1 {
		s.Errorf("the CRL lists %+v", entries)
	}
	if len(revoked.CRLDistributionPoints) != 1 {
		s.Fatalf("distribution points: %v", revoked.CRLDistributionPoints)
	}
	if fetched := s.fetch(revoked.CRLDistributionPoints[0]); !bytes.Equal(fetched, content) {
		s.Error("the distribution point serves something else")
	}
}

// fetch gets what a URL names, from the service instead of the host in it: that one would be found by DNS on the internet.
func (s *service) fetch(address string) []byte {
	s.Helper()
	endpoint, err := url.Parse(*s.config.BaseEndpoint)
	must(s, endpoint, err)
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, endpoint.Host)
		},
	}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, address, nil)
	response, err := client.Do(must(s, request, err))
	defer must(s, response, err).Body.Close()
	if response.StatusCode != http.StatusOK {
		s.Errorf("%s: %s", address, response.Status)
	}
	content, err := io.ReadAll(response.Body)
	return must(s, content, err)
}
