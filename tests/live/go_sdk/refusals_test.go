package go_sdk

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"github.com/aws/smithy-go"
)

// is holds an error to the type that the SDK has for it.
func is[T error](err error) bool {
	var typed T
	return errors.As(err, &typed)
}

// coded holds an error that the SDK has no type for to its code.
func coded(code string) func(error) bool {
	return func(err error) bool {
		var answer smithy.APIError
		return errors.As(err, &answer) && answer.ErrorCode() == code
	}
}

type refusal struct {
	name     string
	expected func(error) bool
	call     func() error
}

func TestErrorsHaveTheirTypes(t *testing.T) {
	s := connect(t)
	active := s.activeRoot("Go Refusals", "")
	pending := s.create(types.CertificateAuthorityTypeRoot, "Go Pending", "")
	other := s.create(types.CertificateAuthorityTypeRoot, "Go Other", "")
	s.csrOf(pending)
	unrelated := s.issue(other, "RootCACertificate", s.csrOf(other), 30)
	for _, each := range append(s.refusalsOfAuthorities(active, pending), s.refusalsOfCertificates(active, pending, unrelated)...) {
		t.Run(each.name, func(t *testing.T) {
			err := each.call()
			var answer smithy.APIError
			if !each.expected(err) || !errors.As(err, &answer) || answer.ErrorMessage() == "" {
				t.Errorf("%#v", err)
			}
		})
	}
}

func (s *service) refusalsOfAuthorities(active, pending string) []refusal {
	describe := func(arn string) error {
		_, err := s.pca.DescribeCertificateAuthority(s.ctx, &acmpca.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &arn})
		return err
	}
	tag := func(count int, prefix string) error {
		var tags []types.Tag
		for number := range count {
			tags = append(tags, types.Tag{Key: aws.String(fmt.Sprintf("%s%d", prefix, number)), Value: aws.String("x")})
		}
		_, err := s.pca.TagCertificateAuthority(s.ctx, &acmpca.TagCertificateAuthorityInput{CertificateAuthorityArn: &active, Tags: tags})
		return err
	}
	return []refusal{
		{"not found", is[*types.ResourceNotFoundException], func() error { return describe(active[:len(active)-12] + "000000000000") }},
		{"not an ARN of an authority", is[*types.InvalidArnException], func() error { return describe(active + "x") }},
		{"outside the model", coded("ValidationException"), func() error { return describe("arn") }},
		{"too many tags", is[*types.TooManyTagsException], func() error { return errors.Join(tag(40, "a"), tag(40, "b")) }},
		{"reserved tags", is[*types.InvalidTagException], func() error { return tag(1, "aws:") }},
		{"delete what is active", is[*types.InvalidStateException], func() error {
			_, err := s.pca.DeleteCertificateAuthority(s.ctx, &acmpca.DeleteCertificateAuthorityInput{CertificateAuthorityArn: &active})
			return err
		}},
		{"restore what is not deleted", is[*types.InvalidStateException], func() error {
			_, err := s.pca.RestoreCertificateAuthority(s.ctx, &acmpca.RestoreCertificateAuthorityInput{CertificateAuthorityArn: &pending})
			return err
		}},
		{"lock the owner out", is[*types.LockoutPreventedException], func() error {
			policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": {"AWS": "%s"},
				"Action": ["acm-pca:IssueCertificate"], "Resource": "%s"}]}`, accountOf(active), active)
			_, err := s.pca.PutPolicy(s.ctx, &acmpca.PutPolicyInput{ResourceArn: &active, Policy: &policy})
			return err
		}},
		{"a next token of one's own", is[*types.InvalidNextTokenException], func() error {
			_, err := s.pca.ListCertificateAuthorities(s.ctx, &acmpca.ListCertificateAuthoritiesInput{NextToken: aws.String("mine")})
			return err
		}},
	}
}

func (s *service) refusalsOfCertificates(active, pending string, unrelated *acmpca.GetCertificateOutput) []refusal {
	order := func(authority, template string, csr []byte) error {
		_, err := s.pca.IssueCertificate(s.ctx, &acmpca.IssueCertificateInput{
			CertificateAuthorityArn: &authority, Csr: csr, TemplateArn: aws.String("arn:aws:acm-pca:::template/" + template),
			SigningAlgorithm: types.SigningAlgorithmSha256withecdsa,
			Validity:         &types.Validity{Type: types.ValidityPeriodTypeDays, Value: aws.Int64(1)},
		})
		return err
	}
	install := func(certificate string) error {
		_, err := s.pca.ImportCertificateAuthorityCertificate(s.ctx, &acmpca.ImportCertificateAuthorityCertificateInput{
			CertificateAuthorityArn: &pending, Certificate: []byte(certificate),
		})
		return err
	}
	leaf := "EndEntityClientAuthCertificate/V1"
	return []refusal{
		{"issue by what is pending", is[*types.InvalidStateException], func() error { return order(pending, leaf, s.request("x")) }},
		{"a CSR that is none", is[*types.MalformedCSRException], func() error { return order(active, leaf, []byte("nothing")) }},
		{"a template that is none", is[*types.InvalidArgsException], func() error { return order(active, "Nothing/V1", s.request("x")) }},
		{"fetched at once", is[*types.RequestInProgressException], func() error {
			arn := s.order(active, "EndEntityClientAuthCertificate", s.request("x"), 1)
			_, err := s.pca.GetCertificate(s.ctx, &acmpca.GetCertificateInput{CertificateAuthorityArn: &active, CertificateArn: &arn})
			return err
		}},
		{"a certificate that is none", is[*types.MalformedCertificateException], func() error { return install("nothing") }},
		{"the certificate of another", is[*types.CertificateMismatchException], func() error { return install(*unrelated.Certificate) }},
		{"revoked twice", is[*types.RequestAlreadyProcessedException], func() error {
			issued := s.issue(active, "EndEntityClientAuthCertificate", s.request("x"), 1)
			input := &acmpca.RevokeCertificateInput{
				CertificateAuthorityArn: &active, RevocationReason: types.RevocationReasonSuperseded,
				CertificateSerial: ptr(fmt.Sprintf("%x", s.parse(issued.Certificate).SerialNumber)),
			}
			_, err := s.pca.RevokeCertificate(s.ctx, input)
			must(s, 0, err)
			_, err = s.pca.RevokeCertificate(s.ctx, input)
			return err
		}},
	}
}
