// What anybody would write with the AWS SDK for Go against AWS Private CA. Where the service is, the SDK learns from the
// environment; nothing here knows what answers. service_test.go has the clients and the steps that the tests share.
package go_sdk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const patience = 30 * time.Second

type service struct {
	*testing.T
	ctx    context.Context
	config aws.Config
	pca    *acmpca.Client
	s3     *s3.Client
	sts    *sts.Client
}

func connect(t *testing.T) *service {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &service{
		T: t, ctx: ctx, config: cfg,
		pca: acmpca.NewFromConfig(cfg),
		s3:  s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
		sts: sts.NewFromConfig(cfg),
	}
}

func must[T any](s *service, value T, err error) T {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	return value
}

// makeBucket makes one that lets the service of this account write CRLs.
func (s *service) makeBucket(name string) {
	s.Helper()
	place := &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(s.config.Region)}
	_, err := s.s3.CreateBucket(s.ctx, &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: place})
	must(s, 0, err)
	caller, err := s.sts.GetCallerIdentity(s.ctx, &sts.GetCallerIdentityInput{})
	account := *must(s, caller, err).Account
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow", "Principal": {"Service": "acm-pca.amazonaws.com"},
		"Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"],
		"Resource": ["arn:aws:s3:::%[1]s", "arn:aws:s3:::%[1]s/*"],
		"Condition": {"StringEquals": {"aws:SourceAccount": "%[2]s"}}}]}`, name, account)
	_, err = s.s3.PutBucketPolicy(s.ctx, &s3.PutBucketPolicyInput{Bucket: &name, Policy: &policy})
	must(s, 0, err)
}

// create makes an authority, with CRLs if a bucket is named, and gives its ARN.
func (s *service) create(kind types.CertificateAuthorityType, name, bucket string) string {
	s.Helper()
	input := &acmpca.CreateCertificateAuthorityInput{
		CertificateAuthorityType: kind,
		CertificateAuthorityConfiguration: &types.CertificateAuthorityConfiguration{
			KeyAlgorithm:     types.KeyAlgorithmEcPrime256v1,
			SigningAlgorithm: types.SigningAlgorithmSha256withecdsa,
			Subject:          &types.ASN1Subject{CommonName: &name, Organization: aws.String("Example Ltd")},
		},
		IdempotencyToken: aws.String(fmt.Sprintf("%x", name)),
	}
	if bucket != "" {
		input.RevocationConfiguration = &types.RevocationConfiguration{CrlConfiguration: &types.CrlConfiguration{
			Enabled: aws.Bool(true), ExpirationInDays: aws.Int32(7), S3BucketName: &bucket,
			S3ObjectAcl: types.S3ObjectAclBucketOwnerFullControl,
		}}
	}
	made, err := s.pca.CreateCertificateAuthority(s.ctx, input)
	return *must(s, made, err).CertificateAuthorityArn
}

// csrOf waits for the CSR of an authority.
func (s *service) csrOf(authority string) []byte {
	s.Helper()
	input := &acmpca.GetCertificateAuthorityCsrInput{CertificateAuthorityArn: &authority}
	waiter := acmpca.NewCertificateAuthorityCSRCreatedWaiter(s.pca, func(o *acmpca.CertificateAuthorityCSRCreatedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	})
	got, err := waiter.WaitForOutput(s.ctx, input, patience)
	return []byte(*must(s, got, err).Csr)
}

// order asks for a certificate and gives its ARN.
func (s *service) order(authority, template string, csr []byte, days int64) string {
	s.Helper()
	issued, err := s.pca.IssueCertificate(s.ctx, &acmpca.IssueCertificateInput{
		CertificateAuthorityArn: &authority,
		Csr:                     csr,
		SigningAlgorithm:        types.SigningAlgorithmSha256withecdsa,
		TemplateArn:             aws.String("arn:aws:acm-pca:::template/" + template + "/V1"),
		Validity:                &types.Validity{Type: types.ValidityPeriodTypeDays, Value: &days},
	})
	return *must(s, issued, err).CertificateArn
}

// issue asks for a certificate, waits for it, and gives it with its chain.
func (s *service) issue(authority, template string, csr []byte, days int64) *acmpca.GetCertificateOutput {
	s.Helper()
	arn := s.order(authority, template, csr, days)
	waiter := acmpca.NewCertificateIssuedWaiter(s.pca, func(o *acmpca.CertificateIssuedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	})
	input := &acmpca.GetCertificateInput{CertificateAuthorityArn: &authority, CertificateArn: &arn}
	got, err := waiter.WaitForOutput(s.ctx, input, patience)
	return must(s, got, err)
}

func (s *service) install(authority string, certificate *string, chain *string) {
	s.Helper()
	input := &acmpca.ImportCertificateAuthorityCertificateInput{
		CertificateAuthorityArn: &authority, Certificate: []byte(*certificate),
	}
	if chain != nil {
		input.CertificateChain = []byte(*chain)
	}
	_, err := s.pca.ImportCertificateAuthorityCertificate(s.ctx, input)
	must(s, 0, err)
}

// activeRoot makes a root that can issue.
func (s *service) activeRoot(name, bucket string) string {
	s.Helper()
	arn := s.create(types.CertificateAuthorityTypeRoot, name, bucket)
	issued := s.issue(arn, "RootCACertificate", s.csrOf(arn), 3650)
	s.install(arn, issued.Certificate, nil)
	return arn
}

// request makes a key and a CSR for a client.
func (s *service) request(name string) []byte {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(s, key, err)
	uri, err := url.Parse("spiffe://example.com/" + name)
	must(s, uri, err)
	asked := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{uri}}
	der, err := x509.CreateCertificateRequest(rand.Reader, asked, key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: must(s, der, err)})
}

func (s *service) parse(text *string) *x509.Certificate {
	s.Helper()
	block, rest := pem.Decode([]byte(*text))
	if block == nil {
		s.Fatalf("no PEM: %q, %q", *text, rest)
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	return must(s, parsed, err)
}
