// cert-manager's issuer for AWS Private CA, as released: its controllers, run over a Kubernetes API that is held in memory.
// Where the service is, the issuer learns from the environment. cluster_test.go has the cluster; what is asked of the issuer
// is in issuer_test.go.
package cert_manager

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/cert-manager/aws-privateca-issuer/pkg/api/v1beta1"
	"github.com/cert-manager/aws-privateca-issuer/pkg/controllers"
	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/go-logr/logr"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

const namespace = "team"

type cluster struct {
	*testing.T
	ctx      context.Context
	api      client.Client
	issuers  *controllers.AWSPCAClusterIssuerReconciler
	requests *controllers.CertificateRequestReconciler
}

func newCluster(t *testing.T) *cluster {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1beta1.AddToScheme, cmapi.AddToScheme, core.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	api := fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&v1beta1.AWSPCAClusterIssuer{}, &cmapi.CertificateRequest{}).Build()
	events := record.NewFakeRecorder(100)
	return &cluster{
		T: t, ctx: ctx, api: api,
		issuers: &controllers.AWSPCAClusterIssuerReconciler{
			Client: api, Log: logr.Discard(), Scheme: scheme,
			GenericController: &controllers.GenericIssuerReconciler{
				Client: api, Log: logr.Discard(), Scheme: scheme, Recorder: events, GetCallerIdentity: true,
			},
		},
		requests: &controllers.CertificateRequestReconciler{
			Client: api, Log: logr.Discard(), Scheme: scheme, Recorder: events, Clock: clock.RealClock{}, CheckApprovedCondition: true,
		},
	}
}

func (c *cluster) create(objects ...client.Object) {
	c.Helper()
	for _, object := range objects {
		if err := c.api.Create(c.ctx, object); err != nil {
			c.Fatal(err)
		}
	}
}

// settle runs a controller as the manager would: again as long as it asks to be.
func (c *cluster) settle(controller interface {
	Reconcile(context.Context, ctrl.Request) (ctrl.Result, error)
}, name types.NamespacedName) {
	c.Helper()
	for range 20 {
		result, err := controller.Reconcile(c.ctx, ctrl.Request{NamespacedName: name})
		if err != nil {
			c.Fatal(err)
		}
		if result.IsZero() {
			return
		}
	}
	c.Fatalf("%s does not settle", name)
}

// issuer makes one for the authority that the environment names, with credentials out of a secret, and waits until it is ready.
func (c *cluster) issuer(name string, change func(*v1beta1.AWSPCAIssuerSpec)) {
	c.Helper()
	secret := &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: namespace},
		Data: map[string][]byte{
			"AWS_ACCESS_KEY_ID":     []byte(os.Getenv("AWS_ACCESS_KEY_ID")),
			"AWS_SECRET_ACCESS_KEY": []byte(os.Getenv("AWS_SECRET_ACCESS_KEY")),
		},
	}
	spec := v1beta1.AWSPCAIssuerSpec{
		Arn: os.Getenv("ISSUING_ARN"), Region: os.Getenv("AWS_REGION"),
		SecretRef: v1beta1.AWSCredentialsSecretReference{SecretReference: core.SecretReference{Name: name, Namespace: namespace}},
	}
	change(&spec)
	made := &v1beta1.AWSPCAClusterIssuer{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: spec}
	c.create(secret, made)
	c.settle(c.issuers, types.NamespacedName{Name: name})
	if err := c.api.Get(c.ctx, types.NamespacedName{Name: name}, made); err != nil {
		c.Fatal(err)
	}
	if conditions := made.Status.Conditions; len(conditions) != 1 || conditions[0].Status != meta.ConditionTrue {
		c.Fatalf("the issuer is not ready: %+v", conditions)
	}
}

// request makes an approved one and gives what became of it.
func (c *cluster) request(name, issuer string, csr []byte, life time.Duration, usages ...cmapi.KeyUsage) *cmapi.CertificateRequest {
	c.Helper()
	asked := &cmapi.CertificateRequest{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: namespace},
		Spec: cmapi.CertificateRequestSpec{
			Request: csr, Usages: usages, Duration: &meta.Duration{Duration: life},
			IssuerRef: cmmeta.IssuerReference{Group: v1beta1.GroupVersion.Group, Kind: "AWSPCAClusterIssuer", Name: issuer},
		},
	}
	cmutil.SetCertificateRequestCondition(asked, cmapi.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "test", "")
	c.create(asked)
	named := types.NamespacedName{Name: name, Namespace: namespace}
	c.settle(c.requests, named)
	if err := c.api.Get(c.ctx, named, asked); err != nil {
		c.Fatal(err)
	}
	return asked
}

// reason is that of the condition Ready.
func reason(request *cmapi.CertificateRequest) (string, string) {
	for _, each := range request.Status.Conditions {
		if each.Type == cmapi.CertificateRequestConditionReady {
			return each.Reason, each.Message
		}
	}
	return "", ""
}
