package go_sdk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
)

const otherAccount = "999999999999"

func accountOf(arn string) string { return strings.Split(arn, ":")[4] }

func TestPaginatorsSeeEverythingOnce(t *testing.T) {
	s := connect(t)
	made := map[string]bool{}
	for number := range 5 {
		made[s.create(types.CertificateAuthorityTypeRoot, fmt.Sprintf("Go Page %d", number), "")] = true
	}
	seen := map[string]int{}
	pages := 0
	authorities := acmpca.NewListCertificateAuthoritiesPaginator(s.pca, &acmpca.ListCertificateAuthoritiesInput{MaxResults: aws.Int32(2)})
	for authorities.HasMorePages() {
		page, err := authorities.NextPage(s.ctx)
		for _, each := range must(s, page, err).CertificateAuthorities {
			seen[*each.Arn]++
		}
		pages++
	}
	for arn := range made {
		if seen[arn] != 1 {
			t.Errorf("%s was listed %d times", arn, seen[arn])
		}
	}
	if pages != (len(seen)+1)/2 {
		t.Errorf("%d pages for %d authorities", pages, len(seen))
	}
	s.pageTags(s.create(types.CertificateAuthorityTypeRoot, "Go Page 0", ""))
}

func (s *service) pageTags(authority string) {
	s.Helper()
	s.csrOf(authority) // there are no tags to change as long as it is being created
	var tags []types.Tag
	for number := range 7 {
		tags = append(tags, types.Tag{Key: aws.String(fmt.Sprintf("key-%d", number)), Value: aws.String("")})
	}
	_, err := s.pca.TagCertificateAuthority(s.ctx, &acmpca.TagCertificateAuthorityInput{CertificateAuthorityArn: &authority, Tags: tags})
	must(s, 0, err)
	seen := map[string]bool{}
	paginator := acmpca.NewListTagsPaginator(s.pca, &acmpca.ListTagsInput{CertificateAuthorityArn: &authority, MaxResults: aws.Int32(3)})
	for paginator.HasMorePages() {
		page, err := paginator.NextPage(s.ctx)
		for _, tag := range must(s, page, err).Tags {
			seen[*tag.Key] = true
		}
	}
	if len(seen) != len(tags) {
		s.Errorf("tags: %v", seen)
	}
}

// A role of another account is refused what nobody shared, and issues under the one template that was shared.
func TestAnotherAccount(t *testing.T) {
	s := connect(t)
	root := s.activeRoot("Go Shared", "")
	there := *s
	elsewhere := s.config.Copy()
	elsewhere.Credentials = aws.NewCredentialsCache(
		stscreds.NewAssumeRoleProvider(s.sts, "arn:aws:iam::"+otherAccount+":role/issuer"))
	there.pca = acmpca.NewFromConfig(elsewhere)
	describe := &acmpca.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &root}
	if _, err := there.pca.DescribeCertificateAuthority(s.ctx, describe); !coded("AccessDeniedException")(err) {
		t.Errorf("not shared: %v", err)
	}
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": {"AWS": "%[1]s"}, "Resource": "%[2]s",
		 "Action": ["acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate"]},
		{"Effect": "Allow", "Principal": {"AWS": "%[1]s"}, "Resource": "%[2]s", "Action": ["acm-pca:IssueCertificate"],
		 "Condition": {"StringEquals": {"acm-pca:TemplateArn": "arn:aws:acm-pca:::template/EndEntityCertificate/V1"}}}]}`,
		otherAccount, root)
	_, err := s.pca.PutPolicy(s.ctx, &acmpca.PutPolicyInput{ResourceArn: &root, Policy: &policy})
	must(s, 0, err)
	described, err := there.pca.DescribeCertificateAuthority(s.ctx, describe)
	if owner := *must(s, described, err).CertificateAuthority.OwnerAccount; owner != accountOf(root) {
		t.Errorf("owned by %s", owner)
	}
	issued := there.issue(root, "EndEntityCertificate", s.request("there"), 1)
	if name := there.parse(issued.Certificate).Subject.CommonName; name != "there" {
		t.Errorf("issued for %s", name)
	}
	list := &acmpca.ListCertificateAuthoritiesInput{ResourceOwner: types.ResourceOwnerOtherAccounts}
	shared, err := there.pca.ListCertificateAuthorities(s.ctx, list)
	if found := must(s, shared, err).CertificateAuthorities; len(found) != 1 || *found[0].Arn != root {
		t.Errorf("shared: %v", found)
	}
}
