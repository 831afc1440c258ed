# The cloud form: included by the Makefile. Everything here runs on this machine alone, `deploy` excepted.

CLOUD_VENV ?= target/cloud
CLOUD_FUNCTIONS := ingest match deliver manage
CLOUD_FEATURES := carillon-ingest/aws,carillon-match/aws,carillon-deliver/aws,carillon-manage/aws
# Lambda's processors are of two kinds; binaries of this machine's kind are what can be tested here.
CLOUD_PROFILE ?= dev
# Read when it is used: a target may choose another profile.
CLOUD_OUT = target/$(if $(filter dev,$(CLOUD_PROFILE)),debug,$(CLOUD_PROFILE))
STACK ?= carillon
PARAMETERS ?=

.PHONY: FORCE test-cloud deploy template-checks functions lint-cloud unit-cloud invoke cold-start

$(CLOUD_VENV)/emulator/.installed: tests/cloud/requirements-emulator.txt
	$(PYTHON) -m venv $(CLOUD_VENV)/emulator
	$(CLOUD_VENV)/emulator/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# A venv of its own: the two want different versions of botocore.
$(CLOUD_VENV)/sam/.installed: tests/cloud/requirements-sam.txt
	$(PYTHON) -m venv $(CLOUD_VENV)/sam
	$(CLOUD_VENV)/sam/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(CLOUD_VENV)/security/.installed: tests/cloud/requirements-security.txt
	$(PYTHON) -m venv $(CLOUD_VENV)/security
	$(CLOUD_VENV)/security/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(CLOUD_VENV)/lambda/.installed: tests/cloud/requirements-lambda.txt
	$(PYTHON) -m venv $(CLOUD_VENV)/lambda
	$(CLOUD_VENV)/lambda/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

functions: ## the four functions, each as target/lambda/<name>/bootstrap
	$(CARGO) build --locked --profile $(CLOUD_PROFILE) --bins \
		$(foreach f,$(CLOUD_FUNCTIONS),-p carillon-$(f)) --features $(CLOUD_FEATURES)
	for f in $(CLOUD_FUNCTIONS); do \
		mkdir -p target/lambda/carillon-$$f && \
		strip -o target/lambda/carillon-$$f/bootstrap $(CLOUD_OUT)/carillon-$$f || exit 1; \
	done

template-checks: $(CLOUD_VENV)/sam/.installed $(CLOUD_VENV)/emulator/.installed $(CLOUD_VENV)/security/.installed ## template.yaml by cfn-lint, sam validate, a security linter and our own rules
	$(CLOUD_VENV)/emulator/bin/python tests/cloud/check_template.py
	$(CLOUD_VENV)/sam/bin/python tests/cloud/check_security.py $(CLOUD_VENV)/security/bin/checkov
	$(CLOUD_VENV)/sam/bin/cfn-lint template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(CLOUD_VENV)/sam/bin/sam validate --lint --template-file template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(CLOUD_VENV)/sam/bin/sam validate --template-file events/sam-local.yaml

# The command with its doors to AWS; put aside, since other targets build it without them.
$(CLOUD_VENV)/carillon: FORCE
	$(CARGO) build --locked --quiet -p carillon --features aws --bin carillon
	cp target/debug/carillon $@

FORCE:

test-cloud: functions template-checks $(SDK)/installed $(CLOUD_VENV)/carillon ## the real template on an emulator, end to end, on loopback
	$(CLOUD_VENV)/emulator/bin/python tests/cloud/run.py \
		--emulator $(CLOUD_VENV)/emulator/bin/ministack --sam $(CLOUD_VENV)/sam/bin/sam \
		--carillon $(CLOUD_VENV)/carillon --sdk $(SDK)/bin/python

unit-cloud: ## tests of what only builds with the AWS SDK have: the functions' frame, the cost table, the commands over a stack
	$(CARGO) test --locked --quiet -p carillon-aws --features lambda --lib
	$(CARGO) test --locked --quiet -p carillon-tests --features aws --test cost
	$(CARGO) test --locked --quiet -p carillon --features aws --bin carillon --test stack

invoke: functions $(CLOUD_VENV)/sam/.installed $(CLOUD_VENV)/lambda/.installed ## every sample event through its function, under the runtime interface emulator and by cargo lambda invoke
	$(CARGO) build --locked --quiet -p carillon-aws --example local_aws
	$(CLOUD_VENV)/sam/bin/python tests/cloud/invoke.py \
		--rie $$(ls $(CLOUD_VENV)/sam/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-$$(uname -m)) \
		--cargo-lambda $(CLOUD_VENV)/lambda/bin/cargo-lambda

# What `deploy` ships. Linking it takes minutes for each function.
cold-start: CLOUD_PROFILE := deployed
cold-start: functions ## exec to first poll of each function, beside an empty one
	$(CARGO) build --locked --release -p carillon-aws --features lambda --example empty_function --example cold_start
	target/release/examples/cold_start target/release/examples/empty_function target/lambda/carillon-*/bootstrap

lint-cloud: ## lints of what only the functions compile
	$(CARGO) clippy --locked --all-targets --quiet -p carillon-aws $(foreach f,$(CLOUD_FUNCTIONS),-p carillon-$(f)) \
		-p carillon-tests --features carillon-aws/lambda,carillon-tests/aws,$(CLOUD_FEATURES) -- -D warnings

deploy: CLOUD_PROFILE := deployed
deploy: functions ## to AWS, with the credentials at hand: make deploy STACK=name PARAMETERS="Key=Value ..."
	architecture=$$($(PYTHON) tests/cloud/binaries.py $(foreach f,$(CLOUD_FUNCTIONS),target/lambda/carillon-$f/bootstrap)) && \
	sam deploy --template-file template.yaml --stack-name $(STACK) --parameter-overrides Architecture=$$architecture $(PARAMETERS)
