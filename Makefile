# Everything you can do with the book. `make` alone lists it.

# Any Python from 3.11 on; it only makes .venv.
PYTHON ?= python3

# On Linux the default PyTorch brings gigabytes of CUDA that the book never uses. To fetch the
# small CPU build: make book TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
export TORCH_INDEX

BIN := .venv/bin
# The book's own tests and pages need nothing from a user's or system's Python.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help book serve test test-portable pictures homework refresh bench repository clean

help:
	@sed -n 's/^## //p' Makefile

## make book              build the book, and say where to open it
book:
	@$(PYTHON) scripts/install.py book
	@$(BIN)/python scripts/build.py

## make serve             build the book, serve it here, rebuild when a file changes
serve:
	@$(PYTHON) scripts/install.py book
	@$(BIN)/python scripts/serve.py

## make homework          make the assignments for students, and the packs for teachers
homework:
	@$(PYTHON) scripts/install.py homework
	@$(BIN)/homework release

## make test              check everything: code, outputs, homework, pages in a real browser
test:
	@$(PYTHON) scripts/install.py book homework test
	@$(BIN)/python scripts/test.py

## make test-portable     check that outputs are the same on other processors and thread counts
test-portable:
	@$(PYTHON) scripts/install.py book test
	@$(BIN)/python scripts/test_portable.py

## make pictures          take a picture of every page: phone and laptop, light and dark
pictures: book
	@$(PYTHON) scripts/install.py book test
	@$(BIN)/python scripts/pictures.py

## make refresh           run all notebooks again and store their outputs
refresh:
	@$(PYTHON) scripts/install.py book test
	@$(BIN)/python scripts/refresh.py

## make bench             run the benchmarks
bench:
	@$(PYTHON) scripts/install.py book homework test
	@for script in benchmarks/*.py; do echo "$$script"; PYTHONPATH=scripts $(BIN)/python $$script || exit 1; done

## make repository URL=…  name the repository that the book is published from; an empty URL unnames it
repository:
ifeq ($(origin URL),undefined)
	@echo 'Say which: make repository URL=https://github.com/OWNER/NAME, or URL= for none.'; exit 2
else
	@$(PYTHON) scripts/install.py book
	@$(BIN)/python scripts/repository.py "$$URL"
endif

## make clean             remove what the commands above made
clean:
	rm -rf .venv _build *.egg-info .mypy_cache .pytest_cache .ruff_cache .coverage
