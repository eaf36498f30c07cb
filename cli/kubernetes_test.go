package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The manifests hold to Kubernetes' types, without a field that they lack, fit together, and name flags and
// metrics that there are.
func TestKubernetesManifests(t *testing.T) {
	for _, command := range []string{"serve", "agent"} {
		b, err := os.ReadFile(inRoot(t, "packaging/kubernetes/"+command+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var deployment apps.Deployment
		var scaler autoscaling.HorizontalPodAutoscaler
		var service core.Service
		for _, document := range bytes.Split(b, []byte("\n---\n")) {
			var kind struct{ Kind string }
			if err := yaml.Unmarshal(document, &kind); err != nil {
				t.Fatal(err)
			}
			into := map[string]any{
				"Deployment": &deployment, "HorizontalPodAutoscaler": &scaler, "Service": &service,
			}[kind.Kind]
			if into == nil {
				t.Fatalf("%s: a %s", command, kind.Kind)
			}
			if err := yaml.UnmarshalStrict(document, into); err != nil {
				t.Fatalf("%s: %s: %v", command, kind.Kind, err)
			}
		}
		labels := deployment.Spec.Template.Labels
		if app := labels["app"]; app == "" || deployment.Spec.Selector.MatchLabels["app"] != app ||
			command == "serve" && service.Spec.Selector["app"] != app {
			t.Errorf("%s: what selects its pods has other labels", command)
		}
		if scaler.Spec.ScaleTargetRef.Name != deployment.Name {
			t.Errorf("%s: the autoscaler is of %s", command, scaler.Spec.ScaleTargetRef.Name)
		}
		metrics, err := os.ReadFile(inRoot(t, "webrtc/metrics.go"))
		if err != nil {
			t.Fatal(err)
		}
		name := scaler.Spec.Metrics[0].Pods.Metric.Name
		if !strings.Contains(string(metrics), `"`+name+`"`) {
			t.Errorf("%s: there is no metric %s", command, name)
		}
		args := deployment.Spec.Template.Spec.Containers[0].Args
		if args[0] != command {
			t.Errorf("%s: the command is %s", command, args[0])
		}
		c := findCommand(command)
		flags := c.flagSet(c.options())
		for _, arg := range args[1:] {
			name, _, _ := strings.Cut(arg, "=")
			if !strings.HasPrefix(name, "--") || flags.Lookup(name[2:]) == nil {
				t.Errorf("tandem %s has no %s", command, arg)
			}
		}
	}
}
