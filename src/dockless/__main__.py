from dockless.faces.cli.main import main

main()
